"""One HTML page from journals of drills: what was broken, when it was seen, when all was well again, what was lost.

    journals    finds and reads the files                       overview    numbers and rows of the table (pure)
    scale       ticks, places, thinning of long series (pure)   timeline    what stands where in a chart (pure)
    story       a journal in the page's words (pure)            labels      where words stand above a chart (pure)
    figures     numbers as a reader wants them (pure)           render      fills the templates

The page is whole in itself: no script, nothing fetched, and a policy in its head that forbids both, since a journal may
come from anybody.
"""
