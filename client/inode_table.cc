#include "client/inode_table.h"

namespace penstock::client {

std::shared_ptr<Inode> InodeTable::GetOrMake(InodeNumber ino) {
  absl::MutexLock lock(&mu_);
  auto it = slots_.find(ino);
  if (it != slots_.end()) {
    by_age_.splice(by_age_.end(), by_age_, it->second.age);
    return it->second.inode;
  }
  Trim();
  auto inode = std::make_shared<Inode>(ino);
  inode->has_pages = expect_pages_;
  by_age_.push_back(ino);
  slots_[ino] = Slot{inode, std::prev(by_age_.end())};
  return inode;
}

// Inodes in use (open, or dirty) have other owners and stay.
void InodeTable::Trim() {
  int looked_at = 0;
  for (auto it = by_age_.begin(); slots_.size() >= limit_ && it != by_age_.end() && looked_at < 16;
       ++looked_at) {
    auto slot = slots_.find(*it);
    if (slot->second.inode.use_count() > 1) {
      auto used = it++;
      by_age_.splice(by_age_.end(), by_age_, used);
      continue;
    }
    slots_.erase(slot);
    it = by_age_.erase(it);
  }
}

std::shared_ptr<Inode> InodeTable::Find(InodeNumber ino) const {
  absl::MutexLock lock(&mu_);
  auto it = slots_.find(ino);
  return it == slots_.end() ? nullptr : it->second.inode;
}

wire::Entry InodeTable::Absorb(const wire::Entry& fresh) const {
  std::shared_ptr<Inode> inode = Find(InodeNumber(fresh.attr().ino()));
  if (inode == nullptr) return fresh;
  absl::MutexLock lock(&inode->mu);
  inode->Absorb(fresh);
  wire::Entry merged = inode->Merged();
  if (inode->handles == 0 && !inode->dirty()) inode->Strip();
  return merged;
}

void InodeTable::ForEach(absl::FunctionRef<void(Inode&)> visit) const {
  std::vector<std::shared_ptr<Inode>> all;
  {
    absl::MutexLock lock(&mu_);
    for (const auto& [ino, slot] : slots_) all.push_back(slot.inode);
  }
  for (const auto& inode : all) visit(*inode);
}

size_t InodeTable::size() const {
  absl::MutexLock lock(&mu_);
  return slots_.size();
}

}  // namespace penstock::client
