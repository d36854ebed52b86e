"""Annotated cells: COCO's JSON, the competition's table, label images, ROI sets and GeoJSON.

A new format is a module here. Where it has an annotation file for each image, it decodes one file, and
`pairs.read_pairs` does the rest.
"""
