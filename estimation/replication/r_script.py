"""placeholder"""
def r_script(*a, **k): return ""
