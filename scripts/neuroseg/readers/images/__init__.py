"""Image files to grey planes, with the time, position and pixel size that a file tells of each.

A new file format is decoded in `planes`; what it tells of its planes is read in `series`, of its pixels in
`scale`.
"""
