"""The scoring room: a whole dataset scored by a registered model, partition by partition, whatever is killed meanwhile.

partitions.py        which rows make a partition, and under which key; the folder that comes out of it
polars_partition.py  rows of a partition out of the dataset, and their scores into Parquet
partition_unit.py    a partition as a unit of one step, for the training room's pool; its verified model
batch.py             which version is asked for; all of this in one call

It stands above the rooms that it joins: `training` does the work and commits it, `serving` verifies and asks the model,
`datasets` verifies and publishes folders, `registry` knows the versions.
"""
