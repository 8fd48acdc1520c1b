package dev.sequent.backend.cuda;

import dev.sequent.spi.GraphCapture;
import dev.sequent.type.BackendException;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Set;

/**
 * Recorded work of one device, with everything that it reads and writes: memory of its own for what the work made, references to what
 * was there before, and the bytes of uploads. Guarded by the device's lock.
 */
final class CudaGraph implements GraphCapture.Graph {
    private final CudaDevice device;
    private final DeviceMemory.Pool pool;
    private final Set<Storage> storages;
    private final List<MemorySegment> uploads;
    private long executable;
    private int size;
    private boolean closed;

    private CudaGraph(CudaDevice device) {
        this.device = device;
        this.pool = device.memory().beginCapture();
        this.storages = device.beginCapture();
        this.uploads = device.staging().beginCapture();
    }

    /** Records what {@code body} gives to the device. Called with the device's lock. */
    static CudaGraph capture(CudaDevice device, Runnable body) {
        if (device.isCapturing()) {
            throw new BackendException("capture", "no capture within another", "a capture in progress");
        }
        device.driver().beginCapture(device.stream());
        CudaGraph graph = new CudaGraph(device);
        boolean complete = false;
        try {
            body.run();
            complete = true;
        } finally {
            graph.end(complete);
        }
        return graph;
    }

    /** Leaves the mode of recording; what was recorded is only of use when the body ended normally. */
    private void end(boolean complete) {
        device.memory().endCapture();
        device.endCapture();
        device.staging().endCapture();
        boolean ready = false;
        try {
            long graph = device.driver().endCapture(device.stream());
            try {
                if (complete) {
                    size = device.driver().graphNodes(graph);
                    executable = device.driver().instantiate(graph);
                    ready = true;
                }
            } finally {
                device.driver().destroyGraph(graph);
            }
        } catch (CudaException e) {
            if (complete) {
                throw e;
            }
            // the body's own exception says more
        } finally {
            if (!ready) {
                closed = true;
                free();
            }
        }
    }

    @Override
    public void replay() {
        device.run("replay", () -> {
            if (closed) {
                throw new BackendException("replay", "an open graph", "a closed one");
            }
            device.driver().launchGraph(executable, device.stream());
            return null;
        });
    }

    @Override
    public int size() {
        return size;
    }

    @Override
    public void close() {
        device.locked(() -> {
            if (!closed) {
                closed = true;
                // a replay may still run, and it reads the uploads' bytes
                device.driver().synchronize(device.stream());
                device.driver().destroyExecutable(executable);
                free();
            }
        });
    }

    private void free() {
        storages.forEach(Storage::release);
        storages.clear();
        uploads.forEach(device.driver()::freeHost);
        uploads.clear();
        device.memory().release(pool);
    }
}
