# Compiler flags, ccache, the linker and the sanitizers that a preset asks for.
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g1 -DNDEBUG")
set(CMAKE_CXX_FLAGS_DEBUG "-O1 -g1")

find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()
find_program(MOLD mold)
if(MOLD)
  add_link_options(-fuse-ld=mold)
endif()

set(FLEET_SANITIZE "" CACHE STRING "sanitizers, comma separated, as -fsanitize= takes them")
if(FLEET_SANITIZE)
  add_compile_options(-fsanitize=${FLEET_SANITIZE} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${FLEET_SANITIZE})
  if(FLEET_SANITIZE MATCHES "undefined")
    add_compile_options(-fno-sanitize-recover=undefined)
  endif()
endif()

# Interface target with the warnings that our own code has to pass (generated code does not). Errors
# are those of one compiler only: clang, which builds the fuzzers, warns of other things.
add_library(fleet_warnings INTERFACE)
target_compile_options(fleet_warnings INTERFACE -Wall -Wextra -Wconversion -Wshadow
  -Wno-missing-field-initializers $<$<CXX_COMPILER_ID:GNU>:-Werror>)

# Beast and gRPC translation units take over 1 GiB each.
set_property(GLOBAL PROPERTY JOB_POOLS heavy=2)
