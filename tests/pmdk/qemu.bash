# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
#
# After guest_prepare: a guest that runs qemu.guest, with an NVDIMM (pmem=on) and a virtio-pmem disk that are
# the pools which pools() creates. The script that includes this says in $guest_runner how QEMU is run.

# shellcheck disable=SC2034 # for guest_image and guest_start
guest_modules="libnvdimm nd_btt nd_pmem nfit virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev
	virtio_pci nd_virtio virtio_pmem"
# shellcheck disable=SC2034,SC2054,SC2154 # the commas are QEMU's; tests/lib.sh sets $mnt and $softpmem
guest_devices=(-machine nvdimm=on -m size=5G,slots=2,maxmem=8G
	-object "memory-backend-file,id=one,mem-path=$mnt/nvdimm,size=128M,share=on,pmem=on"
	-object "memory-backend-file,id=two,mem-path=$mnt/virtio,size=64M,share=on"
	-device nvdimm,memdev=one -device virtio-pmem-pci,memdev=two)
guest_image "$abs_top_srcdir/tests/pmdk/qemu.guest" || bail "cannot build the initramfs"

pools() { "$softpmem" create --size 128M nvdimm && "$softpmem" create --size 64M virtio; }
