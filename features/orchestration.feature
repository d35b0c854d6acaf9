Feature: Runs start when there is something to do
  Looking often must cost nothing, change nothing and miss nothing; what cannot be taken back needs a person.

  Background:
    Given the source table orders
      | id | status | amount |
      | 1  | new    | 10.00  |

  Rule: Changes that wait make a run due, and wait until it loads them (P2, P3)

    Scenario: A commit
      Given the pipeline has copied it
      And the source committed
        | change | id | status | amount |
        | insert | 2  | new    | 20.00  |
      When somebody looks for changes
      Then a run is due
      And the source keeps the log as before
      And the next run leaves nothing to do

    Scenario: More comes before a run has loaded what is due
      Given the pipeline has copied it
      And the source committed
        | change | id | status | amount |
        | insert | 2  | new    | 20.00  |
      And somebody has seen that a run is due
      And the source committed
        | change | id | status | amount |
        | insert | 3  | new    | 30.00  |
      When somebody looks for changes again
      Then no run is due
      And the next run leaves nothing to do

    Scenario: Nothing was ever loaded
      When somebody looks for changes
      Then a run is due

    Scenario: Others write, we have nothing to do
      Given the pipeline has copied it
      And another table of the source grows by 4 MB
      When somebody looks for changes
      Then no run is due

  Rule: What cannot be taken back needs a person to agree

    Scenario: The source has lost log
      Given the pipeline has copied it
      And the source has thrown away what it kept for the pipeline
      When somebody asks what a run would risk
      Then a gap is told of

    Scenario: An ordinary run
      Given the pipeline has copied it
      When somebody asks what a run would risk
      Then nothing is told of
