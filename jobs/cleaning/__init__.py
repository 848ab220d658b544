"""What ``clean`` does, in parts: parse, place, judge, and the balance of rows and dollars."""
