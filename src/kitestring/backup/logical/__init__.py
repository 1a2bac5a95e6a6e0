"""The logical method: rows as Parquet files, from any server and into any other.

rows      reads a backup's rows out of its Parquet files
writer    writes them
index     what is kept of each row beside a file: hashes, and when it was written
changes   which rows of the backup before are there still, and which are new
source    where rows come from: segment files (`from_segments`) or the API (`from_api`)
create    makes a backup of a server, incremental
export    writes a backup's rows into a plain folder
restore   brings a backup's rows into a server
where     the filters
"""
