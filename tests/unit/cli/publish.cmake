jk_test(cli/json_slice SOURCES ${PROJECT_SOURCE_DIR}/services/cli/json_slice.c USES base)
target_include_directories(test_cli_json_slice PRIVATE ${PROJECT_SOURCE_DIR})
