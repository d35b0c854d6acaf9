Feature: The pipeline keeps to itself
  It must not talk about values, grow with its input, or cost anything while nothing happens.

  Background:
    Given the source table orders
      | id | status | amount |
      | 1  | new    | 10.00  |

  Rule: P10 Row values and secrets never reach logs, metrics, messages or error texts

    Scenario: A canary in a row that breaks its contract
      Given the contract stops at statuses other than new, paid and sent
      And the pipeline has copied it
      And the source committed
        | change | id | status          | amount |
        | insert | 2  | canary-4f1c0b7e | 20.00  |
      When the pipeline runs
      Then it stops with a broken contract
      And canary-4f1c0b7e is nowhere in what it said

  Rule: P11 Memory is bounded by configuration, whatever the size of a transaction

    Scenario: A transaction far larger than the memory granted to it
      Given 64 kB of a transaction may wait in memory
      And the pipeline has copied it
      And the source committed 20000 rows in one transaction
      When the pipeline runs
      Then the staging table equals the source table
      And all of them were loaded together

  Rule: P12 When nothing changed, no data statement runs, and the source's log is still released

    Scenario: Others write, we have nothing to do
      Given the pipeline has copied it
      And another table of the source grows by 4 MB
      When the pipeline runs
      Then no load was made
      And the source keeps the log only from the checkpoint on
