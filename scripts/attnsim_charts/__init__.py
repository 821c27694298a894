# SPDX-License-Identifier: Apache-2.0
"""Charts of an attnsim database. They read nothing else."""
