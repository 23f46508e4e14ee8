# fleet_library(NAME SOURCES … DEPS …)      a layer's static library, target fleet_NAME
# fleet_test(NAME SOURCES … DEPS … [LABELS …]) a GoogleTest binary, target NAME_test, found by ctest
# fleet_binary(NAME SOURCES … DEPS …)       a program
# fleet_fuzzer(NAME [SOURCES …] DEPS …)     fuzz/NAME.cc with libFuzzer, part of target fuzzers
function(fleet_library name)
  cmake_parse_arguments(arg "HEAVY" "" "SOURCES;DEPS;PRIVATE_DEPS" ${ARGN})
  add_library(fleet_${name} STATIC ${arg_SOURCES})
  target_include_directories(fleet_${name} PUBLIC ${CMAKE_SOURCE_DIR}/src)
  target_link_libraries(fleet_${name} PUBLIC ${arg_DEPS} PRIVATE fleet_warnings ${arg_PRIVATE_DEPS})
  if(arg_HEAVY)
    set_target_properties(fleet_${name} PROPERTIES JOB_POOL_COMPILE heavy)
    target_compile_options(fleet_${name} PRIVATE $<$<CONFIG:Debug>:-O0>) # minutes, optimized
  endif()
endfunction()

# What compiling a test takes goes into optimizing it, and what it tests is optimized all the same;
# and into GoogleTest's headers, which are precompiled once for all of them.
add_library(fleet_test_headers INTERFACE)
target_compile_options(fleet_test_headers INTERFACE -O0 $<$<CXX_COMPILER_ID:GNU>:-fpch-preprocess>)
target_link_libraries(fleet_test_headers INTERFACE fleet_warnings GTest::gtest GTest::gmock)
add_library(fleet_test_precompiled OBJECT EXCLUDE_FROM_ALL
  ${CMAKE_CURRENT_LIST_DIR}/precompiled.cc)
target_link_libraries(fleet_test_precompiled PRIVATE fleet_test_headers)
target_precompile_headers(fleet_test_precompiled PRIVATE <gmock/gmock.h> <gtest/gtest.h>)

function(fleet_test name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPS;LABELS" ${ARGN})
  add_executable(${name}_test ${arg_SOURCES})
  target_precompile_headers(${name}_test REUSE_FROM fleet_test_precompiled)
  target_link_libraries(${name}_test PRIVATE ${arg_DEPS} fleet_test_headers GTest::gtest_main)
  gtest_discover_tests(${name}_test DISCOVERY_MODE PRE_TEST PROPERTIES TIMEOUT 300
    LABELS "${arg_LABELS}")
  set_property(GLOBAL APPEND PROPERTY FLEET_TESTS ${name}_test)
endfunction()

function(fleet_binary name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE ${arg_DEPS} fleet_warnings)
endfunction()

function(fleet_fuzzer name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(fuzz_${name} ${name}.cc ${arg_SOURCES})
  target_link_libraries(fuzz_${name} PRIVATE ${arg_DEPS} fleet_warnings)
  target_include_directories(fuzz_${name} PRIVATE ${CMAKE_SOURCE_DIR})
  target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
  add_dependencies(fuzzers fuzz_${name})
endfunction()
