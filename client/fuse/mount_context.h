// What every FUSE request needs; lives as long as the session.
#pragma once

#include "client/file_system.h"
#include "client/fuse/device_io.h"
#include "client/fuse/handle_table.h"
#include "client/fuse/interrupt_grace.h"
#include "client/fuse/kernel_memory.h"
#include "client/fuse/libfuse.h"
#include "client/fuse/mount.h"
#include "client/fuse/operation_times.h"

namespace penstock::client {

struct MountContext {
  FileSystem* fs = nullptr;
  InterruptGrace* interrupts = nullptr;
  HandleTable* handles = nullptr;
  DeviceIo* device = nullptr;
  KernelMemory* memory = nullptr;
  OperationTimes* times = nullptr;
  InodeNumber root;  // of the mounted directory: the kernel's FUSE_ROOT_ID
  MountOptions options;

  // Node ids are inode numbers, the root apart.
  InodeNumber ToInode(fuse_ino_t node) const {
    return node == FUSE_ROOT_ID ? root : InodeNumber(node);
  }
  fuse_ino_t ToNode(InodeNumber ino) const { return ino == root ? FUSE_ROOT_ID : ino.value(); }
};

}  // namespace penstock::client
