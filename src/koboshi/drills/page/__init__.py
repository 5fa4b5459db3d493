"""One HTML page from journals of drills: what was broken, when it was seen, when all was well again, what was lost.

    overview    reads the files; numbers and rows of the table   scale     places on an axis, numbers in words (pure)
    story       a journal in the page's words (pure)             timeline  what stands where in a chart (pure)
    render      fills the templates

The page is whole in itself: no script, nothing fetched, and a policy in its head that forbids both, since a journal may
come from anybody.
"""
