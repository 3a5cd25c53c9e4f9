# The CAP 1.2 reader: the only part that links libxml2. Our schema is compiled in.
set(cap_schema ${PROJECT_SOURCE_DIR}/deploy/schema/cap12.xsd)
set(cap_schema_c ${CMAKE_CURRENT_BINARY_DIR}/cap12_xsd.c)
add_custom_command(
  OUTPUT ${cap_schema_c}
  COMMAND ${CMAKE_COMMAND} -D IN=${cap_schema} -D OUT=${cap_schema_c} -D NAME=intake_cap12_xsd
          -P ${CMAKE_CURRENT_LIST_DIR}/embed.cmake
  DEPENDS ${cap_schema} ${CMAKE_CURRENT_LIST_DIR}/embed.cmake
  VERBATIM)
# Every format reader warns the same way.
jk_part(intake_warn SOURCES intake_warn.c USES base proto)
target_include_directories(intake_warn PUBLIC ${PROJECT_SOURCE_DIR})
jk_part(intake_cap
  SOURCES intake_wire_cap.c intake_wire_cap_alert.c intake_wire_cap_info.c intake_wire_cap_area.c intake_wire_cap_node.c
          intake_wire_cap_parse.c ${cap_schema_c}
  USES intake_warn base proto wire PkgConfig::libxml_2_0)
