# shellcheck shell=bash disable=SC2034
# Slingshot nodes with four GPUs, one network card beside each, and 64 cores (an example: adapt the names).
submit=(
    --constraint=gpu
    --ntasks-per-node=4   # one rank owns one GPU and one card
    --gpus-per-node=4     # all visible to all ranks of the node, for peer copies
    --cpus-per-task=16
    '--network=single_node_vni,job_vni' # Slingshot isolates jobs by network ids; job steps need one
)
launch=(
    --gpu-bind=none                    # a rank takes the GPU of its number on the node
    '--cpu-bind=mask_cpu:0xffff000000000000,0xffff00000000,0xffff0000,0xffff' # GPU 0 sits beside the last cores here
    --distribution=block:block         # consecutive ranks share a node
)
prepare() {
    module load PrgEnv-gnu cray-hdf5-parallel cudatoolkit
    popalign=${POPALIGN:-$root/build/cuda/popalign}
    export MPICH_OFI_NIC_POLICY=GPU    # each rank uses the card beside its GPU
    export NCCL_NET='AWS Libfabric'    # the plugin for Slingshot; without it NCCL falls back to TCP
    export NCCL_SOCKET_IFNAME=hsn      # bootstrap over the fast network too
    export FI_CXI_RDZV_PROTO=alt_read  # avoids stalls of large reductions at scale
    export FI_MR_CACHE_MONITOR=userfaultfd # the default monitor can dead-lock with memory freed by torch
}
