package dev.sequent.testkit;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sequent.spi.Backend;
import dev.sequent.spi.TensorHandle;
import java.util.ArrayList;
import java.util.List;
import java.util.function.IntToDoubleFunction;

/**
 * Handles of one test: everything it creates is released at its end, and then the backend must count as many live handles and
 * bytes as before. Used by one thread.
 */
public final class Workspace implements AutoCloseable {
    private final Backend backend;
    private final List<TensorHandle> handles = new ArrayList<>();
    private final long handlesBefore;
    private final long bytesBefore;

    /** A workspace on device 0 of a backend that nobody else uses meanwhile. */
    public Workspace(Backend backend) {
        this.backend = backend;
        this.handlesBefore = backend.memory(0).liveHandles();
        this.bytesBefore = backend.memory(0).liveBytes();
    }

    /** The backend under test. */
    public Backend backend() {
        return backend;
    }

    /** Uploads a tensor. */
    public TensorHandle upload(HostTensor x) {
        return upload(x, Layout.PLAIN);
    }

    /** Uploads a tensor that {@code layout} has prepared. */
    public TensorHandle upload(HostTensor x, Layout layout) {
        return keep(layout.create(backend, x));
    }

    /** Takes over a handle, to be released at the end. */
    public TensorHandle keep(TensorHandle x) {
        handles.add(x);
        return x;
    }

    /** Releases a handle before the end. */
    public void release(TensorHandle x) {
        handles.removeIf(handle -> handle == x);
        backend.release(x);
    }

    /** Reads a tensor back. */
    public HostTensor download(TensorHandle x) {
        return HostTensor.download(backend, x);
    }

    /** Takes over {@code actual} and requires the same shape, dtype and values: NaN equals NaN, and zeros have their sign. */
    public void expect(HostTensor expected, TensorHandle actual) {
        expected.requireEqual(fetch(expected, actual));
    }

    /** Takes over {@code actual} and requires the same shape and dtype, and element i within {@code bound(i)} of the expected one. */
    public void expect(HostTensor expected, IntToDoubleFunction bound, TensorHandle actual) {
        expected.requireWithin(bound, fetch(expected, actual));
    }

    private HostTensor fetch(HostTensor expected, TensorHandle actual) {
        keep(actual);
        assertThat(actual.shape()).as("shape").isEqualTo(expected.shape());
        assertThat(actual.dtype()).as("dtype").isEqualTo(expected.dtype());
        HostTensor given = download(actual);
        release(actual);
        return given;
    }

    /** Releases everything and checks that nothing else is left. */
    @Override
    public void close() {
        handles.forEach(backend::release);
        handles.clear();
        assertThat(backend.memory(0).liveHandles()).as("live handles after the test").isEqualTo(handlesBefore);
        assertThat(backend.memory(0).liveBytes()).as("live bytes after the test").isEqualTo(bytesBefore);
    }
}
