"""The scoring room: a whole dataset scored by a registered model, partition by partition, whatever is killed meanwhile.

partitions.py        decides, pure: which rows make a partition, and under which key
mlflow_version.py    which version is asked for
model_version.py     the version, and its verified model
polars_partition.py  rows of a partition out of the dataset, and their scores into Parquet
partition_unit.py    a partition as a unit of one step, for the training room's pool
scored.py            the folder that comes out of it
batch.py             all of this in one call

It stands above the rooms that it joins: `training` does the work and commits it, `serving` verifies and asks the model,
`datasets` verifies and publishes folders, `registry` knows the versions.
"""
