"""Launch hundreds of workstations, and account for every one.

What is launched is a matter of data, a `LaunchKind` (`greenroom._launch_kind`), with the specs and
the remedies of the kind (`greenroom._specs`, `greenroom._remedies`). Nothing here knows a service.

What is decided: what is wanted (`_policy`), what happens (`_events`), what becomes of it (`_lines`,
`_account`, `_report`), what is done about failures (`_steps`), who may be created now (`_gate`,
`_unbegun`), how it ends (`_ending`), what a report shows (`_timeline`, `_figures`). These know no
clock, no loop and no network.

What is done: calls made until they are answered (`_asking`), what stops them (`_signs`), what is
kept (`_rows`, `_journal_file`, `_journal_tables`, `_journal`, `_taking_up`, `_recorder`), how
sessions are asked for (`_creating`), how one workstation comes up (`_workstation`, with
`_streaming` and `_deleting`), what all of them share (`_site`, `_clock`), how they begin
(`_beginning`), and the launch as a whole (`_launch`). Beside it, actions on sessions that exist
(`_acting`). `_provider` is what is asked of a source.
"""
