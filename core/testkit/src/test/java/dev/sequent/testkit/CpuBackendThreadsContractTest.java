package dev.sequent.testkit;

import java.util.Map;

/** The CPU backend satisfies the contract as users get it, but with more threads than tasks usually divide into. */
class CpuBackendThreadsContractTest extends CpuBackendContractTest {
    @Override
    protected Map<String, String> options() {
        return Map.of("threads", "3");
    }
}
