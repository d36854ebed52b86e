"""Wells, times and doses as people write them, in names of files and in plate maps; groups by well.

How another microscope names its images is a new entry of `presets.PRESETS`.
"""
