#include "cli/table.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/strip.h>

namespace penstock::cli {
namespace {

// Columns that the text takes: code points, so that UTF-8 names line up.
size_t Width(const std::string& text) {
  size_t width = 0;
  for (unsigned char c : text) width += (c & 0xC0) != 0x80;
  return width;
}

}  // namespace

Table::Table(std::vector<std::string> headers) {
  for (std::string& header : headers) {
    right_.push_back(!header.empty() && header[0] == '>');
    headers_.push_back(right_.back() ? header.substr(1) : std::move(header));
  }
}

void Table::Add(std::vector<std::string> row) {
  row.resize(headers_.size());
  rows_.push_back(std::move(row));
}

std::string Table::Render() const {
  std::vector<size_t> widths;
  for (size_t c = 0; c < headers_.size(); ++c) {
    size_t width = Width(headers_[c]);
    for (const auto& row : rows_) width = std::max(width, Width(row[c]));
    widths.push_back(width);
  }
  std::string text;
  auto append = [&](const std::vector<std::string>& row) {
    std::string line;
    for (size_t c = 0; c < row.size(); ++c) {
      const std::string fill(widths[c] - Width(row[c]), ' ');
      absl::StrAppend(&line, c == 0 ? "" : "  ", right_[c] ? fill : "", row[c],
                      right_[c] ? "" : fill);
    }
    while (!line.empty() && line.back() == ' ') line.pop_back();
    absl::StrAppend(&text, line, "\n");
  };
  append(headers_);
  for (const auto& row : rows_) append(row);
  return text;
}

}  // namespace penstock::cli
