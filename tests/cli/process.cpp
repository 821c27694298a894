// SPDX-License-Identifier: Apache-2.0
#include "tests/cli/process.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace attnsim::test {

std::string Workspace::write(const std::string& name, const std::string& text) const {
  std::ofstream(folder_.file(name), std::ios::binary) << text;
  return folder_.file(name).string();
}

Finished Workspace::attnsim(const std::string& arguments) const {
  const std::string command = "cd '" + folder_.path().string() + "' && '" ATTNSIM_BINARY "' " + arguments + " > .out 2> .err";
  const int status = std::system(command.c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_text(folder_.file(".out")), read_text(folder_.file(".err"))};
}

pid_t start_attnsim(const std::vector<std::string>& arguments) {
  std::vector<std::string> all{ATTNSIM_BINARY};
  all.insert(all.end(), arguments.begin(), arguments.end());
  std::vector<char*> pointers;
  for (std::string& argument : all) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  const pid_t process = fork();
  if (process != 0) return process;
  const int silence = open("/dev/null", O_WRONLY);
  dup2(silence, STDOUT_FILENO);
  dup2(silence, STDERR_FILENO);
  execv(pointers.front(), pointers.data());
  _exit(127);
}

void kill_hard(pid_t process) {
  kill(process, SIGKILL);
  int status = 0;
  waitpid(process, &status, 0);
}

std::string read_text(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

std::filesystem::path shipped(const std::string& path) {
  return std::filesystem::path(ATTNSIM_SOURCE_DIR) / path;
}

}  // namespace attnsim::test
