"""Launch hundreds of workstations, and account for every one.

Read it in this order: what is wanted (`_specs`), what happens (`_events`), what becomes of it
(`_account`), what is done about failures (`_remedies`), who may be created now (`_gate`), how it is
kept (`_journal`, `_recorder`), how one workstation comes up (`_workstation`), and all of them
together (`_launch`). The first five decide, and know no clock, no loop and no network.
"""
