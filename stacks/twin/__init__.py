"""The twin: a lab of full systemd machines on one Linux host, wired as its topology says."""
