Feature: Every change is loaded exactly once
  People decide by what the warehouse shows, so a crash, a second writer or a repeated load must leave no trace in it.

  Background:
    Given the source table orders
      | id | status | amount |
      | 1  | new    | 10.00  |
      | 2  | new    | 20.00  |
      | 3  | paid   | 30.00  |
    And the pipeline has copied it

  Rule: P1 Rows and checkpoint commit together or not at all

    Scenario: The writer dies between applying the rows and committing
      Given the source committed
        | change | id | status | amount |
        | update | 1  | paid   | 10.00  |
        | insert | 4  | new    | 40.00  |
      When the pipeline dies before its commit
      Then the staging table still shows
        | id | status | amount |
        | 1  | new    | 10.00  |
        | 2  | new    | 20.00  |
        | 3  | paid   | 30.00  |
      And the checkpoint has not moved

    Scenario: The next run brings what the dead one did not
      Given the source committed
        | change | id | status | amount |
        | update | 1  | paid   | 10.00  |
        | delete | 2  |        |        |
      And the pipeline died before its commit
      When the pipeline runs
      Then the staging table equals the source table
      And the changelog shows each change once

  Rule: P2 The source is told to forget a change only after the checkpoint that covers it is durable

    Scenario: A change that was read but not loaded stays in the source's log
      Given the source committed
        | change | id | status | amount |
        | update | 3  | sent   | 30.00  |
      When the pipeline dies before its commit
      Then the source still keeps the log from the checkpoint on

    Scenario: A change that was loaded is released
      Given the source committed
        | change | id | status | amount |
        | update | 3  | sent   | 30.00  |
      When the pipeline runs
      Then the source keeps the log only from the checkpoint on

  Rule: P4 Positions never move backward, and a second writer is fenced out

    Scenario: A writer that slept wakes up after another one took over
      Given the source committed
        | change | id | status | amount |
        | update | 1  | paid   | 10.00  |
      And a writer read that and fell asleep before loading it
      And the pipeline ran
      When the sleeping writer loads
      Then it is fenced out
      And the staging table equals the source table

  Rule: P6 Applying a batch twice leaves what applying it once leaves

    Scenario: The commit succeeded but its answer was lost
      Given the source committed
        | change | id | status | amount |
        | update | 1  | paid   | 10.00  |
        | delete | 3  |        |        |
      When the pipeline loses the answer to its commit and goes on
      Then the staging table equals the source table
      And the changelog shows each change once

  Rule: P9 A stop finishes or abandons the batch, nothing in between

    Scenario: Stopped while changes keep coming
      Given the source keeps committing
      When the pipeline streams for a moment and is stopped
      And the source falls silent
      And the pipeline runs
      Then the staging table equals the source table
      And the changelog shows each change once
