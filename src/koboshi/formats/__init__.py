"""Durable formats: what is on disk and outlives a version, written and read in one place each.

| module           | format                                                                             |
|------------------|------------------------------------------------------------------------------------|
| `span_files`     | where landed spans are, how their files are named, and whether their ranges tile   |
| `parquet_span`   | the file of a span                                                                 |
| `content_digest` | the digest of records, whatever files they are in                                  |
| `cut`            | `cut.json`, the lock file of the stream                                            |
| `manifest`       | the SHA-256 of each file of a dataset                                              |
| `polars_tables`  | a dataset's Parquet files, the same bytes for the same rows                        |

Each carries a version; newer code reads an older one, and refuses a newer one with a sentence. The audit has a reader
of its own (`koboshi.ingest.parquet_audit`), so that an error here shows there. Nothing is imported here: each module
needs only what it names.
"""
