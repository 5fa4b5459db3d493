"""Whether the model is worth it, while its workers are killed: `make benchmark-model`.

weeks.py           pure: the training weeks, moved on by seven days as far as the stream goes
rows.py            the whole simulated stream as one table, sealed, as the features stage makes it
more_features.py   pure: features beyond the published ones
week_units.py      the candidates as units of one week, on those features, too
entrants.py        who is compared: the published models rebuilt, today's candidates, and more
killer.py          a worker at a step is killed, again and again
outcome.py         one training of everybody in all weeks: scores, their digests, figures
report.py          pure: the table, the champion, the verdict
picture.py         the figures by week
"""
