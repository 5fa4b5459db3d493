"""The datasets room: from committed spans and `cut.json` to checksummed folders that DVC tracks.

| module         | what it gives                                                                               |
|----------------|---------------------------------------------------------------------------------------------|
| `cut`          | the lock file of the stream, and how it may move                                            |
| `pinning`      | moves it to the end of what was landed                                                      |
| `span_records` | the raw records that a cut pins, verified                                                   |
| `build`        | publishes a folder whole, its manifest last                                                 |
| `manifest`     | opens a folder, and refuses one that was changed                                            |
| `repair`       | takes away what was changed, also in DVC's cache, so that it is made again                  |
| `params`       | one block of params.yaml for each stage                                                     |
| `polars_files` | reads a person's table, CSV or Parquet: typed exactly, or refused with every reason         |
| `table_columns`| declares the columns that such a table needs                                                |

What the records mean is no business of this room. Nothing is imported here, so that a stage depends on the modules that
it uses and on no others.
"""
