"""The scoring room: a whole dataset scored by a registered model, partition by partition, whatever is killed meanwhile.

polars_partition.py  which rows make a partition, and under which key; their scores, and the folder of all of them
partition_unit.py    a partition as a unit of one step, for the training room's pool; its verified model
batch.py             which version is asked for; all of this in one call

It stands above the rooms that it joins: `training` does the work and commits it, `serving` verifies and asks the model,
`datasets` verifies and publishes folders, `registry` knows the versions.
"""
