//! Functions that candle's or cudarc's code names and that are not emulated: each refuses with its name, so that whoever
//! calls one knows what is missing. They look at no argument, and declare none.

use super::{answer, unsupported_functions};

unsupported_functions! { answer:
    cuCtxCreate_v2 cuCtxCreate_v3 cuCtxGetLimit cuCtxSetLimit
    cuLinkCreate_v2 cuLinkAddData_v2 cuLinkAddFile_v2 cuLinkComplete cuLinkDestroy
    cuModuleLoadFatBinary cuLibraryLoadData
    cuLaunchKernelEx cuLaunchCooperativeKernel cuLaunchHostFunc
    cuStreamBeginCapture_v2 cuStreamEndCapture
    cuGraphInstantiateWithFlags cuGraphLaunch cuGraphUpload cuGraphDestroy cuGraphExecDestroy
    cuMemAllocManaged cuMemAdvise_v2 cuMemPrefetchAsync_v2 cuMemHostGetDevicePointer_v2
    cuMemPoolCreate cuMemPoolDestroy cuMemcpy cuMemcpyAsync
    cuImportExternalMemory cuDestroyExternalMemory cuExternalMemoryGetMappedBuffer
    cuOccupancyAvailableDynamicSMemPerBlock cuOccupancyMaxActiveClusters
    cuOccupancyMaxPotentialBlockSizeWithFlags cuOccupancyMaxPotentialClusterSize
}
