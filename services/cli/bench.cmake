# jukwaa bench: load and figures.
jk_part(cli_bench SOURCES cli_bench.c bench_load.c bench_storm.c bench_decide.c USES registry base proto wire bus crypt jukwaa)
