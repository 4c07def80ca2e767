#include "tests/coherence/options.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>

#include "tests/coherence/litmus.h"
#include "tests/coherence/shared.h"

namespace penstock::coherence {
namespace {

constexpr char kUsage[] =
    "penstock-coherence TEST --nodes DIR,DIR[,DIR] [OPTIONS]\n"
    "  --rounds N          rounds of the test (1000)\n"
    "  --seconds S         end after S seconds (600)\n"
    "  --seed X            of the rounds; printed\n"
    "  --from N            the first round (0); with --rounds 1 it repeats one round's plan\n"
    "  --call-limit S      a call that takes longer is a violation (60)\n"
    "  --chunk BYTES       chunk size of the file system (4 MiB)\n"
    "  --report-every S    print how far each node is\n"
    "  --sync              open: a change counts once it is synced\n"
    "  --allow-errors E,E  open: errors that a fault may bring (EIO, ESTALE, ENOTCONN, ...)\n"
    "  --lies N            one in N answers is made wrong, to see that the test finds it\n"
    "  --keep              leave the test's directory\n"
    "TEST is `list`, `self-test`, or one of:\n";

[[noreturn]] void Exit(const std::string& wrong) {
  std::fprintf(stderr, "penstock-coherence: %s\n%s", wrong.c_str(), kUsage);
  for (const Test& test : AllTests()) std::fprintf(stderr, "  %-20s %s\n", test.name, test.what);
  std::exit(2);
}

std::vector<std::string> Split(const std::string& text) {
  std::vector<std::string> parts;
  size_t begin = 0;
  while (begin <= text.size()) {
    size_t end = text.find(',', begin);
    if (end == std::string::npos) end = text.size();
    if (end > begin) parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

std::set<int> Errnos(const std::string& text) {
  std::set<int> numbers;
  for (const std::string& name : Split(text)) {
    int number = 1;
    while (number < 134 && (!strerrorname_np(number) || name != strerrorname_np(number))) ++number;
    if (number == 134) Exit("no error is called " + name);
    numbers.insert(number);
  }
  return numbers;
}

void Take(Options* options, const std::string& name, const std::string& value) {
  auto number = [&] {
    char* end = nullptr;
    const unsigned long long parsed = std::strtoull(value.c_str(), &end, 10);
    if (value.empty() || *end) Exit(name + " takes a number");
    return parsed;
  };
  if (name == "--nodes") {
    options->nodes = Split(value);
  } else if (name == "--rounds") {
    options->rounds = number();
  } else if (name == "--seconds") {
    options->seconds = static_cast<int>(number());
  } else if (name == "--seed") {
    options->seed = number();
  } else if (name == "--from") {
    options->first_round = number();
  } else if (name == "--call-limit") {
    options->call_limit_s = static_cast<int>(number());
  } else if (name == "--chunk") {
    options->chunk_bytes = static_cast<int64_t>(number());
  } else if (name == "--report-every") {
    options->report_every_s = static_cast<int>(number());
  } else if (name == "--lies") {
    options->lies = static_cast<int>(number());
  } else if (name == "--allow-errors") {
    options->allowed_errors = Errnos(value);
  } else {
    Exit("unknown option " + name);
  }
}

}  // namespace

Options ParseOptions(int argc, char** argv) {
  Options options;
  options.seed = std::random_device()();
  if (argc < 2 || !std::strcmp(argv[1], "--help")) Exit("which test?");
  options.test = argv[1];
  for (int i = 2; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--sync") {
      options.sync = true;
    } else if (name == "--keep") {
      options.keep = true;
    } else {
      if (i + 1 == argc) Exit(name + " takes a value");
      Take(&options, name, argv[++i]);
    }
  }
  const bool alone = options.test == "list" || options.test == "self-test";
  const size_t nodes = options.nodes.size();
  if (!alone && !FindTest(options.test)) Exit("no test is called " + options.test);
  if (!alone && (nodes < 2 || nodes > kMaxNodes)) Exit("--nodes takes 2 to 4 directories");
  return options;
}

}  // namespace penstock::coherence
