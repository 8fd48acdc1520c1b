package dev.sequent.backend.djl;

import ai.djl.Device;
import ai.djl.pytorch.engine.PtNDManager;

/**
 * One device of an opened backend: the DJL manager to which all its arrays are attached, and the account of what they occupy. Closing the
 * manager closes whatever is still attached. Thread-safe.
 */
final class DjlDevice {
    private final DjlBackend backend;
    private final int index;
    private final PtNDManager manager;
    private final Account account;

    DjlDevice(DjlBackend backend, int index, PtNDManager manager, Account account) {
        this.backend = backend;
        this.index = index;
        this.manager = manager;
        this.account = account;
    }

    DjlBackend backend() {
        return backend;
    }

    PtNDManager manager() {
        return manager;
    }

    Account account() {
        return account;
    }

    /** DJL's name for the device. */
    Device device() {
        return manager.getDevice();
    }

    /** Whether the arrays lie in memory that Java can reach. */
    boolean isHost() {
        return !device().isGpu();
    }

    @Override
    public String toString() {
        return DjlBackendProvider.NAME + ":" + index;
    }
}
