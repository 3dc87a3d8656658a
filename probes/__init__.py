"""TestKey's one application. The flow, in order, and the module that does each step:

    form      forms, paste, guard   a paste is normalised, keys are told apart, candidates found by shape
    seal      seal, store           each key is encrypted under a data key of its check, which lives in memory
    queue     store                 one task without arguments, in the same transaction
    worker    worker                claims what waits, opens a key in memory, writes sealed findings as they come
    ask       examination           which calls to make now, given what has been answered
    client    client, exchange      the only socket: one bounded, guarded call becomes one redacted exchange
    evidence  evidence              rules and metrics read from an exchange
    verdict   verdict               findings become identity, verdict, path and next actions
    report    report, present       the public JSON, and the page made of it
    burn      burn                  data keys destroyed, rows deleted: by the clock, or by the button

`terms` are the catalogue's words as frozen dataclasses; `seed` reads its files into them, `sow` brings them into
the rows, `models` holds the rows and builds the same dataclasses, `pages` shows them to the public. `lab` answers in
place of all providers; `words` is what people read.
"""
