package dev.sequent.testkit.cuda;

import dev.sequent.spi.Backend;
import dev.sequent.spi.DeviceCode;
import dev.sequent.spi.TensorHandle;
import dev.sequent.tensor.Device;
import dev.sequent.type.DType;
import dev.sequent.type.Shape;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.util.Map;
import java.util.Optional;
import java.util.function.UnaryOperator;

/** Devices of {@link EmulatedCuda} between whose fused kernels and compiler a test stands: it sees every source, and may change it. */
final class InterceptedCuda {
    private InterceptedCuda() {}

    /** A device on which {@code change} is applied to the sources of fused kernels before they are compiled. */
    static Device open(EmulatedCuda cuda, UnaryOperator<DeviceCode.Source> change) {
        Backend backend = DeviceKernelLaw.open(cuda).backend();
        Backend intercepted = (Backend) Proxy.newProxyInstance(Backend.class.getClassLoader(), new Class<?>[] {Backend.class},
            (_, method, arguments) -> {
            try {
                Object result = method.invoke(backend, arguments);
                boolean asked = method.getName().equals("facility") && arguments[0] == DeviceCode.class;
                return asked ? ((Optional<?>) result).map(code -> new Code((DeviceCode) code, change)) : result;
            } catch (InvocationTargetException e) {
                throw e.getCause();
            }
        });
        return new Device(intercepted, 0);
    }

    private record Code(DeviceCode code, UnaryOperator<DeviceCode.Source> change) implements DeviceCode {
        @Override
        public Map<String, Function> functions(Source source, int device) {
            return code.functions(change.apply(source), device);
        }

        @Override
        public Limits limits(int device) {
            return code.limits(device);
        }

        @Override
        public TensorHandle allocate(Shape shape, DType dtype, int device) {
            return code.allocate(shape, dtype, device);
        }

        @Override
        public Scratch scratch(long bytes, int device) {
            return code.scratch(bytes, device);
        }

        @Override
        public View view(TensorHandle handle) {
            return code.view(handle);
        }

        @Override
        public void launch(Function function, Grid grid, Object... arguments) {
            code.launch(function, grid, arguments);
        }
    }
}
