"""The datasets room: from committed spans and `cut.json` to checksummed folders that DVC tracks.

| module          | what it gives                                                                             |
|-----------------|-------------------------------------------------------------------------------------------|
| `pinning`       | moves the cut to the end of what was landed                                                |
| `span_records`  | the raw records that a cut pins, verified                                                  |
| `build`         | publishes a folder whole, its manifest last; opens one, and refuses it if it was changed   |
| `dvc_cache`     | what was changed in DVC's cache; takes it away, so that it is made again                   |
| `params`        | one block of params.yaml for each stage                                                    |
| `polars_files`  | reads a person's table, CSV or Parquet: typed exactly, or refused with every reason        |
| `table_columns` | declares the columns that such a table needs                                               |

What the records mean is no business of this room. Nothing is imported here, so that a stage depends on the modules that
it uses and on no others.
"""
