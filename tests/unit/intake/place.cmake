jk_test(intake/place_shapes USES intake_place)
# Points of the data set against an independent computation in Python.
add_executable(place_points ${CMAKE_CURRENT_LIST_DIR}/place_points.c)
target_link_libraries(place_points PRIVATE intake_place)
add_test(NAME unit/intake/place_oracle
  COMMAND /usr/bin/python3 ${CMAKE_CURRENT_LIST_DIR}/place_oracle.py $<TARGET_FILE:place_points>
          ${PROJECT_SOURCE_DIR}/../shared/data)
set_tests_properties(unit/intake/place_oracle PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 120)
