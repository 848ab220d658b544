"""A study as files that others run: its data with plain names, its columns as commands of Stata and calls of R."""

from __future__ import annotations

from estimation.replication.blocks import Block, StudyData, study_data
from estimation.replication.r_script import r_script
from estimation.replication.stata_script import Check, check_script, stata_script

__all__ = ["Block", "Check", "StudyData", "check_script", "r_script", "stata_script", "study_data"]
