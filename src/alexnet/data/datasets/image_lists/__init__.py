"""Lists of images and labels as data sets.

- `source`: `list_source`, from a list's path to a `Source`
- `folder_lists`: the same for a folder with lists in it
- `delimited`, `json_lists`: from a file to a `Table`, its rows as text
- `columns`: which columns hold the image, the label and the split
- `entries`: one name, label and split per image
- `locate`: the files that these names mean; `file_source`: a `Source` of them
- `parquet`, `parquet_images`: tables and images in Parquet files
"""
