# SPDX-License-Identifier: Apache-2.0
# The CUDA side of validation/. Where nvcc is: static library attnsim_cuda (kernels, microbenchmarks, backend), each .cu compiled with the
# architectures that its line `// nvcc: ...` names, the compiler's resource report beside each object. Everywhere: attnsim_cuda_emulated,
# the same kernel sources compiled for the CPU (validation/cuda/emulate).
option(ATTNSIM_CUDA "Describe the CUDA backend (target attnsim_cuda) where nvcc is found" ON)
option(ATTNSIM_CUDA_BENCH "Link it into attnsim-bench, which then builds it" OFF)
find_program(ATTNSIM_NVCC nvcc HINTS /usr/local/cuda/bin)

set(cuda_folder ${CMAKE_SOURCE_DIR}/validation/cuda)
file(GLOB kernel_sources CONFIGURE_DEPENDS ${cuda_folder}/kernels/*.cu)
file(GLOB device_sources CONFIGURE_DEPENDS ${cuda_folder}/*.cu ${cuda_folder}/micro/*.cu)

add_library(attnsim_cuda_plan STATIC ${cuda_folder}/launch_plan.cpp)
target_link_libraries(attnsim_cuda_plan PUBLIC attnsim_options)

if(NOT ATTNSIM_SANITIZE)  # fibers and AddressSanitizer do not go together
  add_library(attnsim_cuda_emulated STATIC EXCLUDE_FROM_ALL ${kernel_sources} ${cuda_folder}/reference.cu ${cuda_folder}/emulate/emulate.cpp)
  set_source_files_properties(${kernel_sources} ${cuda_folder}/reference.cu PROPERTIES LANGUAGE CXX COMPILE_OPTIONS "-x;c++")
  target_compile_options(attnsim_cuda_emulated PRIVATE -Wall -Wextra -Werror -Wno-unknown-pragmas)
  target_include_directories(attnsim_cuda_emulated PUBLIC ${CMAKE_SOURCE_DIR})
  target_link_libraries(attnsim_cuda_emulated PUBLIC attnsim_cuda_plan)
endif()

if(NOT ATTNSIM_CUDA OR NOT ATTNSIM_NVCC OR ATTNSIM_SANITIZE)
  return()
endif()
get_filename_component(toolkit ${ATTNSIM_NVCC} REALPATH)
get_filename_component(toolkit ${toolkit} DIRECTORY)
find_library(ATTNSIM_CUDART cudart_static HINTS ${toolkit}/../lib64 ${toolkit}/../targets/x86_64-linux/lib ${toolkit}/../targets/sbsa-linux/lib)
if(NOT ATTNSIM_CUDART)
  message(WARNING "nvcc without libcudart_static.a: the CUDA backend is left out")
  return()
endif()

find_program(ATTNSIM_CCACHE ccache)
set(nvcc_command ${ATTNSIM_NVCC})
if(ATTNSIM_CCACHE)
  list(PREPEND nvcc_command ${ATTNSIM_CCACHE})
endif()
set(objects)
foreach(source ${kernel_sources} ${device_sources})
  file(STRINGS ${source} line REGEX "^// nvcc: " LIMIT_COUNT 1)
  string(REGEX REPLACE "^// nvcc: " "" flags "${line}")
  separate_arguments(flags)
  file(RELATIVE_PATH name ${cuda_folder} ${source})
  string(REPLACE "/" "_" name ${name})
  set(object ${CMAKE_BINARY_DIR}/cuda/${name}.o)
  string(JOIN " " command ${nvcc_command} -std=c++17 -O3 -I${CMAKE_SOURCE_DIR} ${flags} -Xptxas -v --expt-relaxed-constexpr -Xcompiler -Wall
         -MD -MF ${object}.d -c ${source} -o ${object})
  add_custom_command(OUTPUT ${object} ${object}.txt
    COMMAND sh -c "${command} 2> ${object}.txt || { cat ${object}.txt >&2$<SEMICOLON> exit 1$<SEMICOLON> }"
    DEPENDS ${source} DEPFILE ${object}.d COMMENT "CUDA ${name}" VERBATIM)
  list(APPEND objects ${object})
endforeach()
file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/cuda)
add_library(attnsim_cuda STATIC EXCLUDE_FROM_ALL ${objects})
set_target_properties(attnsim_cuda PROPERTIES LINKER_LANGUAGE CXX)
target_include_directories(attnsim_cuda INTERFACE ${CMAKE_SOURCE_DIR})
target_link_libraries(attnsim_cuda PUBLIC attnsim_cuda_plan ${ATTNSIM_CUDART} Threads::Threads ${CMAKE_DL_LIBS} rt)
target_compile_definitions(attnsim_cuda INTERFACE ATTNSIM_CUDA)

# attnsim-bench is declared later; it takes the backend where there is one.
function(attnsim_link_cuda)
  if(ATTNSIM_CUDA_BENCH AND TARGET attnsim_bench_program)
    target_link_libraries(attnsim_bench_program PUBLIC attnsim_cuda)
  endif()
endfunction()
cmake_language(DEFER CALL attnsim_link_cuda)
