Feature: No change is lost and no value is silently changed
  A pipeline that reports success while rows are missing is worse than one that stops.

  Rule: P3 Every change ends in the changelog, in quarantine, or is counted under a named policy

    Scenario: The books of a load balance
      Given the source table orders
        | id | status | amount |
        | 1  | new    | 10.00  |
      And the contract accepts the statuses new, paid and sent
      And the pipeline has copied it
      And the source committed
        | change | id | status  | amount |
        | insert | 2  | new     | 20.00  |
        | update | 2  | paid    | 20.00  |
        | insert | 3  | unknown | 30.00  |
        | delete | 1  |         |        |
      When the pipeline runs
      Then the latest load counted
        | read | changelog | quarantined | applied | compacted |
        | 4    | 3         | 1           | 2       | 1         |

  Rule: P7 What a type cannot hold follows the stream's policy and is counted

    Scenario: A number that is not a number waits in quarantine
      Given the source table orders
        | id | status | amount |
        | 1  | new    | 10.00  |
      And the pipeline has copied it
      And the source committed
        | change | id | status | amount |
        | insert | 2  | new    | NaN    |
      When the pipeline runs
      Then the staging table shows
        | id | status | amount |
        | 1  | new    | 10.00  |
      And the quarantine shows
        | id | status  |
        | 2  | waiting |

    Scenario: By contract it becomes null, and is counted
      Given the source table orders
        | id | status | amount |
        | 1  | new    | 10.00  |
      And the contract makes null of values that do not fit
      And the pipeline has copied it
      And the source committed
        | change | id | status | amount |
        | insert | 2  | new    | NaN    |
      When the pipeline runs
      Then the staging table shows
        | id | status | amount |
        | 1  | new    | 10.00  |
        | 2  | new    | null   |
      And the latest load counted
        | read | changelog | quarantined | misfit |
        | 1    | 1         | 0           | 1      |

  Rule: P8 One bad row never stops or poisons the good ones, unless the contract says stop

    Background:
      Given the source table orders
        | id | status | amount |
        | 1  | new    | 10.00  |

    Scenario: The bad row waits, the good ones are loaded
      Given the contract accepts the statuses new, paid and sent
      And the pipeline has copied it
      And the source committed
        | change | id | status  | amount |
        | insert | 2  | broken  | 20.00  |
        | insert | 3  | paid    | 30.00  |
      When the pipeline runs
      Then the staging table shows
        | id | status | amount |
        | 1  | new    | 10.00  |
        | 3  | paid   | 30.00  |
      And the quarantine shows
        | id | status  |
        | 2  | waiting |

    Scenario: A later good image of the same key overtakes the bad one
      Given the contract accepts the statuses new, paid and sent
      And the pipeline has copied it
      And the source committed
        | change | id | status  | amount |
        | insert | 2  | broken  | 20.00  |
      And the pipeline ran
      And the source committed
        | change | id | status  | amount |
        | update | 2  | paid    | 20.00  |
      When the pipeline runs
      Then the staging table equals the source table
      And the quarantine shows
        | id | status     |
        | 2  | superseded |

    Scenario: The contract says stop
      Given the contract stops at statuses other than new, paid and sent
      And the pipeline has copied it
      And the source committed
        | change | id | status  | amount |
        | insert | 2  | broken  | 20.00  |
        | insert | 3  | paid    | 30.00  |
      When the pipeline runs
      Then it stops with a broken contract
      And the staging table shows
        | id | status | amount |
        | 1  | new    | 10.00  |
      And the checkpoint has not moved
