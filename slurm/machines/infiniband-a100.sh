# shellcheck shell=bash disable=SC2034
# Nodes with four A100 or H100, four InfiniBand cards and 64 cores (an example: adapt the names).
submit=(
    --partition=gpu
    --ntasks-per-node=4  # one rank owns one GPU
    --gpus-per-node=4    # not --gpus-per-task: NCCL needs to see its neighbours' GPUs for peer copies
    --cpus-per-task=16
    --exclusive          # training is as fast as its slowest node: share none
)
launch=(
    --gpu-bind=none               # a rank takes the GPU of its number on the node
    --cpu-bind=cores              # a rank's threads stay near its GPU's memory
    --distribution=block:block    # consecutive ranks share a node, as the reduction's groups expect
    --mem-bind=local              # pinned buffers on the side of the card
)
prepare() {
    module load gcc openmpi hdf5-parallel cuda
    popalign=${POPALIGN:-$root/build/cuda/popalign}
    export NCCL_IB_HCA=mlx5           # NCCL's own transport on the InfiniBand cards, not on Ethernet ones
    export NCCL_CROSS_NIC=0           # rail-optimised fabrics: a ring stays on one rail
    export OMPI_MCA_pml=ucx           # MPI over the same cards
    export UCX_TLS=rc,sm,self         # no fall-back to TCP that would go unnoticed
    export HDF5_USE_FILE_LOCKING=FALSE # Lustre without flock refuses them; writers here never share a file
}
