package dev.sequent.testkit;

import dev.sequent.spi.Backend;
import dev.sequent.spi.TensorHandle;
import dev.sequent.tensor.Device;
import dev.sequent.type.Shape;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.util.concurrent.atomic.LongAdder;

/**
 * Counts the floating-point operations of matrix products that a computation really does, to hold formulas against.
 *
 * <pre>{@code
 * try (CountedProducts counted = new CountedProducts(Device.open("reference"))) {
 *     model.forward(ids, info);          // a model on counted.device()
 *     long flops = counted.flops();
 * }
 * }</pre>
 *
 * <p>Products run as primitives of a backend; a fused kernel would hide its own, which is why the backend should have none. Thread-safe.
 */
public final class CountedProducts implements AutoCloseable {
    private final Device inner;
    private final Device device;
    private final LongAdder flops = new LongAdder();

    /** Watches {@code inner}, which {@link #close} closes. */
    public CountedProducts(Device inner) {
        this.inner = inner;
        Backend watched = inner.backend();
        Backend proxy = (Backend) Proxy.newProxyInstance(Backend.class.getClassLoader(), new Class<?>[] {Backend.class},
                (_, method, arguments) -> {
            try {
                Object result = method.invoke(watched, arguments);
                if (method.getName().equals("matmul")) {
                    Shape a = ((TensorHandle) arguments[0]).shape();
                    long terms = a.dim((boolean) arguments[2] ? -2 : -1);
                    flops.add(2 * terms * ((TensorHandle) result).shape().size());
                }
                return result;
            } catch (InvocationTargetException e) {
                throw e.getCause();
            }
        });
        this.device = new Device(proxy, inner.index());
    }

    /** The device to compute on. */
    public Device device() {
        return device;
    }

    /** Operations counted so far, a multiply-add being two. */
    public long flops() {
        return flops.sum();
    }

    /** Counts from 0 again. */
    public void reset() {
        flops.reset();
    }

    @Override
    public void close() {
        inner.close();
    }
}
