# shellcheck shell=bash disable=SC2034
# A partition of two-socket CPU nodes with 64 cores a socket (an example: adapt the names).
submit=(
    --partition=cpu
    --ntasks-per-node=16  # ranks of eight threads: matrix products of these sizes gain little from more
    --cpus-per-task=8
    --hint=nomultithread  # two hyper-threads of a core share its vector units
)
launch=(
    --cpu-bind=cores                  # threads of a rank share a cache and a memory controller
    --distribution=block:block:block  # and consecutive ranks a socket, which shares the weights
)
prepare() {
    module load gcc openmpi hdf5-parallel
    export OMP_PROC_BIND=close OMP_PLACES=cores # threads stay on the cores that srun gave
    export HDF5_USE_FILE_LOCKING=FALSE          # Lustre without flock refuses them; writers here never share a file
}
