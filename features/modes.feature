Feature: A staging table follows its stream in the mode that was asked for
  The same changes serve people who want the present, those who want to see what was deleted, and those who want history.

  Rule: P5 Changes of one key are applied in commit order

    Background:
      Given the source table orders
        | id | status | amount |
        | 1  | new    | 10.00  |
        | 2  | new    | 20.00  |

    Scenario: Mirror shows the source as it is
      Given the mode mirror
      And the pipeline has copied it
      And the source committed
        | change | id | status | amount |
        | update | 1  | paid   | 10.00  |
        | update | 1  | sent   | 10.00  |
        | delete | 2  |        |        |
        | insert | 2  | new    | 99.00  |
      When the pipeline runs
      Then the staging table shows
        | id | status | amount |
        | 1  | sent   | 10.00  |
        | 2  | new    | 99.00  |

    Scenario: A key that changes takes its row along
      Given the mode mirror
      And the pipeline has copied it
      And the source committed
        | change | id | new id |
        | rekey  | 1  | 3      |
        | rekey  | 2  | 1      |
        | rekey  | 3  | 2      |
      When the pipeline runs
      Then the staging table shows
        | id | status | amount |
        | 1  | new    | 20.00  |
        | 2  | new    | 10.00  |

    Scenario: Soft delete keeps the last values of what was deleted
      Given the mode soft_delete
      And the pipeline has copied it
      And the source committed
        | change | id | status | amount |
        | update | 1  | paid   | 10.00  |
        | delete | 2  |        |        |
        | insert | 3  | new    | 30.00  |
        | delete | 3  |        |        |
      When the pipeline runs
      Then all rows of the staging table are
        | id | status | amount | deleted |
        | 1  | paid   | 10.00  | no      |
        | 2  | new    | 20.00  | yes     |
        | 3  | new    | 30.00  | yes     |

    Scenario: History keeps every version
      Given the mode history
      And the pipeline has copied it
      And the source committed
        | change | id | status | amount |
        | update | 1  | paid   | 10.00  |
      And the source committed
        | change | id | status | amount |
        | update | 1  | paid   | 10.00  |
      And the source committed
        | change | id | status | amount |
        | update | 1  | sent   | 10.00  |
        | delete | 2  |        |        |
      When the pipeline runs
      Then the versions in the staging table are
        | id | status | current |
        | 1  | new    | no      |
        | 1  | paid   | no      |
        | 1  | sent   | yes     |
        | 2  | new    | no      |
      And the intervals of a key never overlap

    Scenario: Append keeps every change
      Given the mode append
      And the pipeline has copied it
      And the source committed
        | change   | id | status | amount |
        | update   | 1  | paid   | 10.00  |
        | delete   | 2  |        |        |
      When the pipeline runs
      Then the staging table has the changes
        | change   | id |
        | snapshot | 1  |
        | snapshot | 2  |
        | update   | 1  |
        | delete   | 2  |

    Scenario: The table is truncated and filled again in one transaction
      Given the mode mirror
      And the pipeline has copied it
      And the source committed
        | change   | id | status | amount |
        | truncate |    |        |        |
        | insert   | 7  | new    | 70.00  |
      When the pipeline runs
      Then the staging table shows
        | id | status | amount |
        | 7  | new    | 70.00  |

    Scenario Outline: The mode is switched without reading the source again
      Given the mode mirror
      And the pipeline has copied it
      And the source committed
        | change | id | status | amount |
        | update | 1  | paid   | 10.00  |
        | delete | 2  |        |        |
      And the pipeline ran
      When the mode becomes <mode> and the pipeline runs
      Then the staging table is as if its mode had always been <mode>
      And the source table was not read again

      Examples:
        | mode        |
        | soft_delete |
        | history     |
        | append      |
