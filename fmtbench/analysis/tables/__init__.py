"""Tables, one file each, as `ls conf/table` shows them: functions from rows to a data frame."""
