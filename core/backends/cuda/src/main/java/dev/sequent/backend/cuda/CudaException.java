package dev.sequent.backend.cuda;

import dev.sequent.type.BackendException;

/** A call of the CUDA driver, the run-time compiler or the matrix library failed. */
public final class CudaException extends BackendException {
    private static final long serialVersionUID = 1L;

    /** The driver's code for an exhausted memory. */
    static final int OUT_OF_MEMORY = 2;

    private final String call;
    private final int code;
    private final String error;

    CudaException(String call, int code, String error, String text) {
        super("[" + call + "] expected success, given " + error + " (" + code + ")" + (text.isEmpty() ? "" : ": " + text)
                + (isSticky(code) ? "; this error stays with the process: close the backend and start Java again" : ""));
        this.call = call;
        this.code = code;
        this.error = error;
    }

    /** The call that failed, for example {@code cuMemcpyHtoDAsync}, or what was launched. */
    public String call() {
        return call;
    }

    /** The library's number of the error. */
    public int code() {
        return code;
    }

    /** The library's name of the error, for example {@code CUDA_ERROR_ILLEGAL_ADDRESS}. */
    public String error() {
        return error;
    }

    /** Whether the device is lost to this process: every later call will fail, too. */
    public boolean isSticky() {
        return isSticky(code);
    }

    /** Faults inside of kernels, uncorrectable memory errors and a destroyed context, as cuda.h describes them. */
    private static boolean isSticky(int code) {
        return switch (code) {
            case 214, 220, 700, 702, 709, 710, 714, 715, 716, 717, 718, 719, 721 -> true;
            default -> false;
        };
    }
}
