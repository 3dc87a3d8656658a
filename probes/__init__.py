"""TestKey's one application. The flow, in order, and the module that does each step:

    form      forms, find, guard    keys are found in any paste, told apart (paste), candidates found by shape
    seal      seal, store           each key is encrypted under a data key of its check, which lives in memory
    start     start, store          what is clear begins; for the rest the operator says where each key goes
    queue     store                 tasks without arguments, in the same transaction
    worker    worker, lanes         claims what waits, opens a key in memory, writes sealed findings as they come
    ask       examination           which calls to make now, given what has been answered
    client    client, exchange      the only socket: one bounded, guarded call becomes one redacted exchange
    evidence  evidence, hints       rules and metrics read from an exchange
    verdict   verdict               findings become identity, verdict, path and next actions
    report    report, results       the public JSON; `present` makes pages of it, `exports` files, `compare` two columns
    burn      burn                  data keys destroyed, rows deleted: by the clock, or by the button

`access` says who may ask, how much, and read what; `account`, `views`, `result_views` and `api` are the doors.
`terms` are the catalogue's words as frozen dataclasses; `seed` reads its files into them, `sow` brings them into
the rows, `models` holds the rows and builds the same dataclasses, `pages` shows them to the public. `lab` answers in
place of all providers; `words` is what people read.
"""
