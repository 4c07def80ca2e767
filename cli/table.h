// Table lays out rows under headers for a terminal.
#pragma once

#include <string>
#include <vector>

namespace penstock::cli {

class Table {
 public:
  // A header that begins with '>' aligns its column to the right.
  explicit Table(std::vector<std::string> headers);
  void Add(std::vector<std::string> row);  // shorter rows are filled with empty cells
  bool empty() const { return rows_.empty(); }
  // A line a row, each ended by a newline, no trailing spaces.
  std::string Render() const;

 private:
  std::vector<std::string> headers_;
  std::vector<bool> right_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace penstock::cli
